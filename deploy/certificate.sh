#!/bin/sh
# A self-signed certificate to try things with: deploy/certificate.sh FOLDER [NAME]
#
# Writes FOLDER/certificate.pem and FOLDER/key.pem for NAME (localhost) and 127.0.0.1, good for a
# year. Browsers warn of it; visitors deserve one from a certificate authority.
set -eu
folder=${1:?name the folder for certificate.pem and key.pem}
name=${2:-localhost}
mkdir -p "$folder"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 365 \
  -subj "/CN=$name" -addext "subjectAltName=DNS:$name,IP:127.0.0.1" \
  -keyout "$folder/key.pem" -out "$folder/certificate.pem" 2>/dev/null
# The proxy reads the key as a user of its own.
chmod 644 "$folder/key.pem" "$folder/certificate.pem"
