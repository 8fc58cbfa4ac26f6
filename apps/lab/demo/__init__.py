"""The demo: a simulated ISP is provisioned over REST, failures are injected and the platform's reports are checked."""
