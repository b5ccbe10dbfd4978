"""Programs without Twofold that tell a service of Twofold something over a broker, and hear from it."""
