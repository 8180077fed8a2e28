"""What a trained network says of a scan."""
