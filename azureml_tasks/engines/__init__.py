"""The engines that build, run and push."""
