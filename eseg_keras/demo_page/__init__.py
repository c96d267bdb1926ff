"""A web page that runs a network in the browser."""

from eseg_keras.demo_page.writer import write_demo_page as write_demo_page
