// A real OpenID Connect provider on loopback for the tests. Prints its port when it listens; ends with its input.
// argv: the address that our console believes to be its own, where browsers are sent back to.
import { createServer } from "node:http";
import { generateKeyPairSync } from "node:crypto";
import Provider from "oidc-provider";

const [publicUrl] = process.argv.slice(2);

const people = {
  ana: { email: "ana@corp.example", email_verified: true, name: "Ana Ruiz", groups: ["noc", "staff"] },
  bob: { email: "bob@corp.example", email_verified: false, name: "Bob", groups: ["noc"] },
  eve: { email: "noc@acme.example", email_verified: true, name: "Eve", groups: ["noc"] },
  zoe: { email: "zoe@corp.example", email_verified: true, name: "Zoe", groups: ["sales"] },
};

function signingKey(kid) {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  return { ...privateKey.export({ format: "jwk" }), kid, use: "sig", alg: "RS256" };
}

function client(id, more) {
  return {
    client_id: id,
    client_secret: "a-secret-of-the-tests-only",
    redirect_uris: [`${publicUrl}/sign-in/with/${id}/callback/`],
    response_types: ["code"],
    grant_types: ["authorization_code"],
    ...more,
  };
}

const server = createServer();
server.listen(0, "127.0.0.1", () => {
  const { port } = server.address();
  const provider = new Provider(`http://127.0.0.1:${port}`, {
    clients: [
      client("basic", { token_endpoint_auth_method: "client_secret_basic" }),
      client("post", { token_endpoint_auth_method: "client_secret_post" }),
      client("public", { token_endpoint_auth_method: "none", client_secret: undefined }),
    ],
    jwks: { keys: [signingKey("first")] },
    cookies: { keys: ["only-for-tests"] },
    claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name", "groups"] },
    pkce: { required: () => true },
    findAccount: (_ctx, id) =>
      people[id] && { accountId: id, claims: async () => ({ sub: id, ...people[id] }) },
  });
  server.on("request", provider.callback());
  process.stdout.write(`${port}\n`);
});

process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
