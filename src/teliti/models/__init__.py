"""Networks: frozen backbones, heads on their features, and both as torch modules for export."""
