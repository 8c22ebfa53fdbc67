"""What happens each interval of a watch: take frames, screen them, decide who is put to the model, show the result."""
