"""The fraud model: fitting (trees, network, ensemble) and serving (scoring).

`scoring` needs NumPy and ONNX Runtime alone; import it, and not the fitting modules, where memory
and start-up time count.
"""
