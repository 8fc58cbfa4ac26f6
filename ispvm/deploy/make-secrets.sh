#!/bin/sh
# Makes the secrets that compose.yaml reads, each once, in ./secrets (or the folder given). Keeps what is there.
# The web's certificate is yours to bring: secrets/web_certificate and secrets/web_certificate_key.
set -eu
umask 077
folder="${1:-secrets}"
uid="${ISPVM_UID:-10001}"
mkdir -p "$folder"

keep() { # name, text
    [ -e "$folder/$1" ] || printf '%s\n' "$2" >"$folder/$1"
}

random() {
    od -An -N32 -tx1 /dev/urandom | tr -d ' \n'
}

for role in postgres ispvm_owner ispvm_app ispvm_backup ispvm_platform valkey; do
    keep "${role}_password" "$(random)"
done
keep secret_key "$(random)"
keep master_key "$(random)"
keep ca_key "$(random)"
keep database_url "postgres://ispvm_app:$(cat "$folder/ispvm_app_password")@postgres:5432/ispvm"
keep database_owner_url "postgres://ispvm_owner:$(cat "$folder/ispvm_owner_password")@postgres:5432/ispvm"
keep redis_url "redis://:$(cat "$folder/valkey_password")@valkey:6379/0"

# Compose hands files over as they are: the processes' account must be able to read them.
chmod 711 "$folder"
chmod 400 "$folder"/*
if [ "$(id -u)" = 0 ]; then
    chown "$uid" "$folder"/*
    # The accounts of the PostgreSQL and Valkey images.
    chown 999 "$folder"/*_password
else
    echo "Not root: give $folder/*_password to user id 999 and the other files to user id $uid." >&2
fi
