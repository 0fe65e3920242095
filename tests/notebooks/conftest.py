import nbval_run


def pytest_sessionfinish():
    nbval_run.end()
