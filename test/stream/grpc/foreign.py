"""A client that shares no code with the service: gRPC by another implementation, the contract by server reflection.

Usage: foreign.py HOST:PORT TOKEN VOICE. Prints what it saw as JSON.
"""
import json
import sys
import threading

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

address, token, voice = sys.argv[1:]
channel = grpc.insecure_channel(address)
headers = (("authorization", "Bearer " + token),)


def field(number, kind, name, repeated=False, type_name=None):
    return descriptor_pb2.FieldDescriptorProto(
        name=name, number=number, type=kind, label=3 if repeated else 1, type_name=type_name
    )


def reflection_messages():
    """Only what is needed to ask for a file: nothing here comes from the service."""
    STRING, BYTES, MESSAGE = 9, 12, 11
    file = descriptor_pb2.FileDescriptorProto(name="asked.proto", package="asked", syntax="proto3")
    file.message_type.add(name="Request").field.extend(
        [field(4, STRING, "file_containing_symbol"), field(7, STRING, "list_services")]
    )
    file.message_type.add(name="Files").field.append(field(1, BYTES, "file_descriptor_proto", True))
    file.message_type.add(name="Service").field.append(field(1, STRING, "name"))
    file.message_type.add(name="Services").field.append(field(1, MESSAGE, "service", True, ".asked.Service"))
    file.message_type.add(name="Response").field.extend(
        [field(4, MESSAGE, "files", type_name=".asked.Files"), field(6, MESSAGE, "services", type_name=".asked.Services")]
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    factory = message_factory.MessageFactory(pool)
    return [factory.GetPrototype(pool.FindMessageTypeByName("asked." + name)) for name in ("Request", "Response")]


Request, Response = reflection_messages()


def reflected(version, *requests):
    call = channel.stream_stream(
        "/grpc.reflection.%s.ServerReflection/ServerReflectionInfo" % version,
        request_serializer=Request.SerializeToString,
        response_deserializer=Response.FromString,
    )
    return list(call(iter(requests), timeout=10))


pool = descriptor_pool.DescriptorPool()
services = [s.name for s in reflected("v1", Request(list_services="*"))[0].services.service]
for name in services:
    # The file itself comes first; what it imports has to be known before.
    for file in reversed(reflected("v1", Request(file_containing_symbol=name))[0].files.file_descriptor_proto):
        pool.AddSerializedFile(file)
alpha = [s.name for s in reflected("v1alpha", Request(list_services="*"))[0].services.service]
factory = message_factory.MessageFactory(pool)


def message(name, **fields):
    return factory.GetPrototype(pool.FindMessageTypeByName(name))(**fields)


def method(service, name):
    found = pool.FindServiceByName(service).FindMethodByName(name)
    request, response = (factory.GetPrototype(one) for one in (found.input_type, found.output_type))
    streams = descriptor_pb2.MethodDescriptorProto()
    found.CopyToProto(streams)
    kind = ("stream" if streams.client_streaming else "unary") + "_" + ("stream" if streams.server_streaming else "unary")
    return getattr(channel, kind)(
        "/%s/%s" % (service, name), request_serializer=request.SerializeToString, response_deserializer=response.FromString
    )


speech, package = "scaispeak.v1.SpeakService", "scaispeak.v1."


def value(enum, name):
    return pool.FindEnumTypeByName(package + enum).values_by_name[name].number


def speak(text, audio_format):
    audio, kinds, done = b"", [], None
    request = message(
        package + "SpeakRequest", text=text, voice_id=voice, response_format=value("AudioFormat", audio_format)
    )
    call = method(speech, "Speak")(request, metadata=headers, timeout=30)
    for event in call:
        kind = event.WhichOneof("event")
        if kind != (kinds or [None])[-1]:
            kinds.append(kind)
        if kind == "header":
            header = {"sample_rate": event.header.sample_rate, "content_type": event.header.content_type}
        if kind == "audio":
            audio += event.audio
        if kind == "done":
            done = event.done.audio_duration_ms
    return dict(header, kinds=kinds, bytes=len(audio), first=audio[:2].hex(), loud=len(set(audio)) > 50, done=done)


def stream(first, second):
    """Text, flush and all of its audio; then text that is interrupted while it is spoken; then close."""
    def frame(**case):
        return message(package + "ClientFrame", **case)

    def client():
        output = message(package + "OutputRequest", codec=value("StreamCodec", "STREAM_CODEC_PCM"), sample_rate=16000)
        yield frame(open=message(package + "Open", voice_id=voice, output=output))
        yield frame(text=message(package + "Text", delta=first))
        yield frame(flush=message(package + "Flush", id="one"))
        flushed.wait(30)
        yield frame(text=message(package + "Text", delta=second))
        yield frame(flush=message(package + "Flush", id="two"))
        spoken.wait(30)
        yield frame(interrupt=message(package + "Interrupt", played_ms=said["audio_ms"]))
        interrupted.wait(30)
        yield frame(close=message(package + "Close"))

    flushed, spoken, interrupted = threading.Event(), threading.Event(), threading.Event()
    said = {"frames": [], "audio": 0}
    for event in method(speech, "Stream")(client(), metadata=headers, timeout=60):
        kind = event.WhichOneof("frame")
        if kind != (said["frames"] or [None])[-1]:
            said["frames"].append(kind)
        if kind == "audio":
            said["audio"] += len(event.audio)
            if flushed.is_set():
                spoken.set()
        elif kind == "flush_done" and event.flush_done.id == "one":
            said["audio_ms"] = event.flush_done.audio_ms
            said["audio_first"] = said["audio"]
            flushed.set()
        elif kind == "interrupted":
            said["heard"] = event.interrupted.heard_text
            said["unheard"] = event.interrupted.unheard_text
            interrupted.set()
        elif kind == "closed":
            said["interrupts"] = event.closed.stats.interrupted
    return said


def refusal():
    try:
        list(method(speech, "Speak")(message(package + "SpeakRequest", text="x", voice_id="vox_nobody"), metadata=headers))
    except grpc.RpcError as error:
        trailers = dict(error.trailing_metadata())
        return [error.code().name, trailers["scaispeak-error-code"], len(trailers["grpc-status-details-bin"]) > 0]


health = method("grpc.health.v1.Health", "Check")(message("grpc.health.v1.HealthCheckRequest"), timeout=10)
voices = method(speech, "ListVoices")(message(package + "ListVoicesRequest", limit=200), metadata=headers, timeout=10)
print(json.dumps({
    "services": services,
    "alpha": alpha,
    "health": health.status,
    "voices": [one.voice_id for one in voices.voices],
    "pcm": speak("Hello from another world.", "AUDIO_FORMAT_PCM"),
    "mp3": speak("Hello from another world.", "AUDIO_FORMAT_MP3"),
    "stream": stream("This is said whole.", "This is a much longer sentence, which nobody is going to hear to its end. " * 4),
    "refusal": refusal(),
}))
