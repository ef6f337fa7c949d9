"""The engines that build, run and push: each a value with the operations of `base.Engine`."""
