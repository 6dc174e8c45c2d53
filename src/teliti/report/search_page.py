"""x"""


def render_search(record):
    return ""
