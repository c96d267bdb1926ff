"""A page that runs a network inside the browser."""

from eseg_keras.demo_page.writer import write_demo_page as write_demo_page
