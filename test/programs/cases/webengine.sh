# shellcheck shell=bash disable=SC2034
case_about="Chromium's engine in Qt, which has no malloc of its own: the page of the case chromium"
case_quick=no
case_needs=(python3-pyqt5.qtwebengine python3 fonts-dejavu-core)
case_programs=('python3*' QtWebEngineProcess)
case_timeout=300

run_round() {
	start_server pages /usr/bin/python3 "$DATA/page-server.py" "$DATA/page.html" "$PWD/port"
	wait_until 20 test -s port
	mkdir -m 700 runtime
	subject env QT_QPA_PLATFORM=offscreen QTWEBENGINE_DISABLE_SANDBOX=1 XDG_RUNTIME_DIR="$PWD/runtime" \
		QTWEBENGINE_CHROMIUM_FLAGS='--disable-gpu --disable-background-networking' \
		/usr/bin/python3 "$DATA/webengine.py" "http://127.0.0.1:$(cat port)/page" \
		>out/dom 2>log/browser
	grep -q 'id="done">yes' out/dom || die "the page did not finish: $(grep '<dl' out/dom)"
}
