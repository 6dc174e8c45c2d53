"""What `export` is made of: the certificate, eight bits, speed."""
