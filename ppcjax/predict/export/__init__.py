from ppcjax.predict.export.predictor import export_model

__all__ = ["export_model"]
