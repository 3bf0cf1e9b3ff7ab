"""What all pages share: charts, widgets, components, the glossary, the tour, the style."""
