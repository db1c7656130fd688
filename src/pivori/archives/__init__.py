"""Portable archives: files that open without this program, and that keep everything a snapshot keeps.

A *container* (zip, 7z, tar.zst) holds *members*; its last member, the *manifest*, describes every entry. An *envelope*
(GPG, age) is around a whole container. This package knows neither repositories nor strategies.
"""
