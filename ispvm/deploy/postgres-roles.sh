#!/bin/sh
# Runs once, on an empty database volume: creates the four roles, the database and its grants, as the launcher does
# for its embedded server. Passwords are read from files and passed to psql as variables on standard input, so that
# they appear in no command line and no log.
set -eu

role() {
    printf '\\set password `cat /run/secrets/%s_password`\n' "$1"
    printf 'CREATE ROLE %s LOGIN NOSUPERUSER NOCREATEROLE %s PASSWORD :%s;\n' "$1" "$2" "'password'"
}

{
    # The statement must not be logged with the password in it.
    echo "SET log_statement = 'none';"
    echo "SET log_min_error_statement = 'panic';"
    echo "SET log_min_duration_statement = -1;"
    role ispvm_owner 'NOCREATEDB NOBYPASSRLS'
    role ispvm_app 'NOCREATEDB NOBYPASSRLS'
    role ispvm_backup 'NOCREATEDB BYPASSRLS'
    role ispvm_platform 'NOCREATEDB BYPASSRLS'
    cat <<'SQL'
ALTER ROLE ispvm_app SET statement_timeout = '60s';
GRANT pg_read_all_data TO ispvm_backup, ispvm_platform;
GRANT pg_write_all_data TO ispvm_platform;
CREATE DATABASE ispvm OWNER ispvm_owner;
REVOKE ALL ON DATABASE ispvm FROM PUBLIC;
GRANT CONNECT, TEMPORARY ON DATABASE ispvm TO ispvm_app;
GRANT CONNECT ON DATABASE ispvm TO ispvm_backup, ispvm_platform;
SQL
} | psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres
