"""The forms in which a trained model leaves the studio, each measured against the model that it came from."""
