"""What only notebooks need: widgets, panels, Colab. Imported only when used; nothing else imports it."""
