"""What training leaves for the player: report, pictures, sounds to compare, a zip to take home."""
