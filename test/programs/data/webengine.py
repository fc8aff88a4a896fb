"""Loads a page in Qt's web engine several times, and prints what became of it: webengine.py URL"""

import sys

from PyQt5.QtCore import QTimer, QUrl
from PyQt5.QtWebEngineWidgets import QWebEnginePage, QWebEngineProfile
from PyQt5.QtWidgets import QApplication

LOADS = 3


class Page(QWebEnginePage):
    def __init__(self, application, profile, url):
        super().__init__(profile)
        self.application = application
        self.texts = []
        self.url = QUrl(url)
        self.loadFinished.connect(self.loaded)
        self.renderProcessTerminated.connect(self.terminated)
        self.load(self.url)

    def fail(self, message):
        print(message, file=sys.stderr)
        self.application.exit(1)

    def terminated(self, status, code):
        self.fail(f'the renderer ended: status {status}, code {code}')

    def loaded(self, good):
        if good:
            self.toHtml(self.take)
        else:
            self.fail('the page was not loaded')

    def take(self, text):
        self.texts.append(text)
        if len(self.texts) < LOADS:
            self.load(self.url)
        else:
            self.application.quit()


def main():
    application = QApplication(sys.argv[:1])
    # A profile without a name keeps nothing on disk.
    profile = QWebEngineProfile()
    page = Page(application, profile, sys.argv[1])
    QTimer.singleShot(100000, lambda: application.exit(1))
    status = application.exec_()
    # The page must go before its profile.
    texts = page.texts
    del page
    print(*texts, sep='\n')
    return status


sys.exit(main())
