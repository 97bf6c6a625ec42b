"""Networks that learn to tell SR from HR, as options (`discriminator`): one file a network."""
