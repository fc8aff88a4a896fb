# shellcheck shell=bash disable=SC2034
case_about="php without its own allocator; its extensions come with RTLD_DEEPBIND"
case_quick=yes
case_needs=(php-cli php-mbstring php-xml)
case_programs=('php*')
case_timeout=150

run_round() {
	local scale=4
	[[ $QUICK == yes ]] && scale=1
	# Without these extensions the case would show nothing.
	subject env USE_ZEND_ALLOC=0 php -m >out/modules
	expect "mbstring and xml among the modules" 2 "$(grep -cxE 'mbstring|xml' out/modules)"
	subject env USE_ZEND_ALLOC=0 php -d memory_limit=-1 "$DATA/work.php" "$scale" >out/work
	subject env USE_ZEND_ALLOC=0 php -d memory_limit=-1 -d opcache.enable_cli=1 \
		-d opcache.jit_buffer_size=32M "$DATA/work.php" 1 >out/jit
	subject php -d memory_limit=-1 "$DATA/work.php" 1 >out/zend-alloc
}
