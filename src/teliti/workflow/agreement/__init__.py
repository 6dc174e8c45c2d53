"""What `agree` compares: judgements of people, and what a bundle says of the same photos."""
