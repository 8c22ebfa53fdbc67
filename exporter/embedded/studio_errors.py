"""How LM Studio says no: the error answers of the stand-in, in the words that clients have to recognise."""

from typing import Any

from exporter.embedded.contract import ContextOverflowError

_BAD_REQUEST = "invalid_request_error"


class ApiError(Exception):
    """An answer that is an error: status and JSON body.

    Args:
        status: of the HTTP response.
        message: in words. Alone it becomes the string form `{"error": "…"}` that engine failures have.
        kind: the key `type` of the object form.
        code: the key `code`; left out when None, unless `param` is given.
        param: the key `param`.
    """

    def __init__(
        self, status: int, message: str, kind: str | None = None, code: str | None = None, param: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.error: dict[str, Any] | str = message
        if kind is not None:
            self.error = {"message": message, "type": kind}
            if param is not None:
                self.error |= {"param": param, "code": code}
            elif code is not None:
                self.error["code"] = code

    @property
    def body(self) -> dict[str, Any]:
        """The JSON document of the response."""
        return {"error": self.error}

    @property
    def error_object(self) -> dict[str, Any]:
        """The error as an object, whichever form the body has."""
        return {"message": self.error} if isinstance(self.error, str) else dict(self.error)


def unexpected_endpoint(method: str, path: str, status: int) -> ApiError:
    """There is no such route, or not with this verb."""
    return ApiError(status, f"Unexpected endpoint or method. ({method} {path})")


def unauthorized() -> ApiError:
    """The API token is missing or wrong."""
    return ApiError(401, "Malformed or missing LM Studio API token.", "invalid_request", "invalid_api_key")


def missing_parameter(name: str) -> ApiError:
    """A request without something it needs."""
    return ApiError(400, f"Missing required parameter: '{name}'", "invalid_request", "missing_required_parameter", name)


def bad_value(name: str, message: str) -> ApiError:
    """A parameter that cannot be used, in the envelope of the OpenAI routes."""
    return ApiError(400, message, _BAD_REQUEST, None, name)


def no_models_loaded() -> ApiError:
    """Nothing is loaded and nothing may be loaded by a request."""
    message = "No models loaded. Please load a model in the developer page or use the 'lms load' command."
    return ApiError(400, message, _BAD_REQUEST, None, "model")


def unknown_model(name: str) -> ApiError:
    """No model of that name is on disk and none is loaded that could answer in its place."""
    message = f'Invalid model identifier "{name}". Please specify a valid downloaded model.'
    return ApiError(400, message, _BAD_REQUEST, "model_not_found", "model")


def load_failed(name: str, reason: str) -> ApiError:
    """A model that could not be loaded, or that the guardrails refuse."""
    code = "model_load_failed"
    return ApiError(400, f'Failed to load model "{name}". Error: {reason}', code, code)


def no_images(name: str) -> ApiError:
    """An image for a model that reads text only."""
    return bad_value("messages", f'Model "{name}" does not support image inputs.')


def bad_image() -> ApiError:
    """An image that is given by its place, or that is none."""
    return ApiError(400, "'url' field must be a base64 encoded image.")


def context_overflow(error: ContextOverflowError) -> ApiError:
    """The prompt is longer than the loaded context."""
    return ApiError(400, f"Engine protocol predict request returned 400: {error}")


def slot_timeout() -> ApiError:
    """The request waited too long for one of the model's slots."""
    return ApiError(
        400, 'Engine protocol predict stream returned an error: {"code":500,"message":"Timed out waiting for a slot"}'
    )


def engine_failed(reason: str) -> ApiError:
    """The engine failed in a way that has no words of its own."""
    return ApiError(400, f"Engine protocol predict request failed: {reason}")


def model_unloaded() -> ApiError:
    """The model was evicted while it answered."""
    return ApiError(400, "Model is unloaded.")


def model_crashed() -> ApiError:
    """The worker of the model died; a negative exit code comes out as an unsigned number."""
    return ApiError(400, "The model has crashed without additional information. (Exit code: 18446744072635812000)")


def channel_error() -> ApiError:
    """The connection to the worker of the model broke."""
    return ApiError(400, "Channel Error")
