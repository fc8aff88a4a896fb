# shellcheck shell=bash disable=SC2034
case_about="keys, certificates, ciphers and digests, and a TLS connection, by openssl"
case_quick=yes
case_needs=(openssl)
case_programs=(openssl)
case_timeout=150

# make_key NAME ALGORITHM [OPTION]...
make_key() {
	local name=$1 algorithm=$2
	shift 2
	subject openssl genpkey -quiet -algorithm "$algorithm" "$@" -out "$name.pem"
}

sign_and_verify() {
	subject openssl req -new -x509 -key "$1.pem" -subj "/CN=$1" -days 30 -out "$1.crt" -sha256
	subject openssl verify -CAfile "$1.crt" "$1.crt"
	subject openssl dgst -sha256 -sign "$1.pem" -out "$1.sig" text
	subject openssl x509 -in "$1.crt" -pubkey -noout >"$1.pub"
	subject openssl dgst -sha256 -verify "$1.pub" -signature "$1.sig" text
}

connect() {
	local port
	port=$(free_port)
	# Four connections, and it ends: that of wait_until is one.
	start_server tls openssl s_server -naccept 4 -accept "127.0.0.1:$port" \
		-cert rsa.crt -key rsa.pem -WWW
	wait_until 20 bash -c "exec 3<>/dev/tcp/127.0.0.1/$port"
	for _ in 1 2 3; do
		printf 'GET /text HTTP/1.0\r\n\r\n' |
			subject openssl s_client -quiet -ign_eof -verify_return_error -CAfile rsa.crt \
				-connect "127.0.0.1:$port" 2>>log/client | tail -n +4 | sha256sum
	done
	await_server
}

run_round() {
	local digest cipher prime
	seq 1 400000 >text
	make_key rsa RSA -pkeyopt rsa_keygen_bits:2048
	make_key ec EC -pkeyopt ec_paramgen_curve:P-256
	sign_and_verify rsa >out/rsa
	sign_and_verify ec >out/ec
	for digest in md5 sha1 sha256 sha3-512 blake2b512; do
		subject openssl dgst "-$digest" text
	done >out/digests
	for cipher in aes-256-cbc aes-128-ctr chacha20 camellia-192-cbc; do
		subject openssl enc "-$cipher" -pbkdf2 -S 0011223344556677 -k secret -in text |
			tee coded | subject openssl enc -d "-$cipher" -pbkdf2 -S 0011223344556677 -k secret |
			cmp - text
		sha256sum <coded
	done >out/ciphers
	prime=$(subject openssl prime -generate -bits 512)
	subject openssl prime "$prime" | grep -o 'is prime' >out/prime
	connect >out/connections
}
