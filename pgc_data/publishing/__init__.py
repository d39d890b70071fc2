"""Publishing a dataset: which licences allow it, and the upload to the Hugging Face Hub."""
