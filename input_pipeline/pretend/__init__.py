"""Pretend databases: native layout and dirt, made-up motion, nobody's face."""
