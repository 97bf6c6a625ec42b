"""Many runs: jobs in processes of their own, what they come to, and how it is shown."""
