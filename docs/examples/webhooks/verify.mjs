#!/usr/bin/env node
// Verify an ISPVisualMonitor webhook. Node 18 or later, no packages.
//
//     node verify.mjs --secret-file SECRET --headers HEADERS.json --body BODY [--now UNIX_SECONDS]
//
// In your own program: copy `verifyWebhook`, call it with the raw body (a Buffer, not parsed and re-encoded) and the
// headers with lower-case names, as Node's http module has them. Apply an event only if it `isNewer` than the last
// one that you applied for that incident. `--applied EPOCH:SEQUENCE` of that one shows what a receiver would do.

import { createHmac, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";

function same(left, right) {
  const a = Buffer.from(left);
  const b = Buffer.from(right);
  return a.length === b.length && timingSafeEqual(a, b);
}

export function verifyWebhook(secret, headers, body, now, tolerance = 300) {
  const id = headers["webhook-id"] ?? "";
  const timestamp = headers["webhook-timestamp"] ?? "";
  if (!/^[0-9]{1,12}$/.test(timestamp) || Math.abs(now - Number(timestamp)) > tolerance) {
    throw new Error("the timestamp is too far from our clock");
  }
  const key = Buffer.from(secret.slice("whsec_".length), "base64");
  const expected = "v1," + createHmac("sha256", key).update(`${id}.${timestamp}.`).update(body).digest("base64");
  // During a rotation there is one value per live secret, separated by spaces.
  const values = (headers["webhook-signature"] ?? "").split(" ");
  if (!values.some((value) => same(value, expected))) {
    throw new Error("no signature matches");
  }
  const event = JSON.parse(body.toString("utf8"));
  if (event.event_id !== id) {
    throw new Error("webhook-id is not the body's event_id");
  }
  return event;
}

// A restored database begins a new epoch, in which sequences continue from an earlier number.
export function isNewer(event, applied) {
  const { epoch = 0, sequence } = event.incident;
  return epoch > applied.epoch || (epoch === applied.epoch && sequence > applied.sequence);
}

export function verifyBodySignature(secret, headers, body) {
  const expected = "sha256=" + createHmac("sha256", secret).update(body).digest("hex");
  if (!same(headers["x-ispvm-signature"] ?? "", expected)) {
    throw new Error("the signature does not match");
  }
  return JSON.parse(body.toString("utf8"));
}

if (process.argv[1] && import.meta.url.endsWith(process.argv[1].split("/").pop())) {
  const { values } = parseArgs({
    options: {
      "secret-file": { type: "string" },
      headers: { type: "string" },
      body: { type: "string" },
      now: { type: "string" },
      applied: { type: "string" },
    },
  });
  const secret = readFileSync(values["secret-file"], "utf8").trim();
  const headers = JSON.parse(readFileSync(values.headers, "utf8"));
  const body = readFileSync(values.body);
  const now = values.now ? Number(values.now) : Date.now() / 1000;
  try {
    const event = verifyWebhook(secret, headers, body, now);
    verifyBodySignature(secret, headers, body);
    console.log(`VERIFIED: ${event.event_type} ${event.event_id}`);
    if (values.applied && event.incident) {
      const [epoch, sequence] = values.applied.split(":").map(Number);
      console.log(isNewer(event, { epoch, sequence }) ? "APPLY" : "DROP: it is older than what was applied");
    }
  } catch (error) {
    console.log(`REFUSED: ${error.message}`);
    process.exitCode = 1;
  }
}
