#!/bin/sh
# Creates the secrets that compose.yaml reads in ./secrets (or the given folder). Existing files are kept.
# Provide the web certificate yourself: secrets/web_certificate and secrets/web_certificate_key.
set -eu
umask 077
folder="${1:-secrets}"
uid="${ISPVM_UID:-10001}"
mkdir -p "$folder"

create() { # name, text
    [ -e "$folder/$1" ] || printf '%s\n' "$2" >"$folder/$1"
}

random() {
    od -An -N32 -tx1 /dev/urandom | tr -d ' \n'
}

for role in postgres ispvm_owner ispvm_app ispvm_backup ispvm_platform valkey; do
    create "${role}_password" "$(random)"
done
create secret_key "$(random)"
create master_key "$(random)"
create ca_key "$(random)"
create database_url "postgres://ispvm_app:$(cat "$folder/ispvm_app_password")@postgres:5432/ispvm"
create database_owner_url "postgres://ispvm_owner:$(cat "$folder/ispvm_owner_password")@postgres:5432/ispvm"
create redis_url "redis://:$(cat "$folder/valkey_password")@valkey:6379/0"

# Compose mounts files with their owner and mode: the account of the processes must be able to read them.
chmod 711 "$folder"
chmod 400 "$folder"/*
if [ "$(id -u)" = 0 ]; then
    chown "$uid" "$folder"/*
    # The accounts of the PostgreSQL and Valkey images.
    chown 999 "$folder"/*_password
else
    echo "Not root: change the owner of $folder/*_password to user id 999 and of the other files to user id $uid." >&2
fi
