"""`shortaxis node`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shortaxis.cli.console import note

_MEGABYTE = 1_000_000


def node(
    to: Annotated[
        str,
        typer.Option("--to", metavar="PEER", envvar="SHORTAXIS_NODE_TO", help="AET@HOST:PORT or dicomweb+https://HOST/PATH."),
    ],
    folder: Annotated[
        Path,
        typer.Option(metavar="DIR", envvar="SHORTAXIS_NODE_FOLDER", help="Holds what is received until it is done; survives a restart."),
    ],
    ae_title: Annotated[str, typer.Option(metavar="AET", envvar="SHORTAXIS_NODE_AE_TITLE", help="Title of this node.")] = "SHORTAXIS",
    address: Annotated[str, typer.Option(metavar="IP", help="Address to listen on; by default all.")] = "",
    port: Annotated[int, typer.Option(envvar="SHORTAXIS_NODE_PORT", help="Port to listen on.")] = 11112,
    calling: Annotated[
        list[str] | None,
        typer.Option(metavar="AET", envvar="SHORTAXIS_NODE_CALLING", help="AE title that may send; repeat it; by default all."),
    ] = None,
    max_associations: Annotated[int, typer.Option(help="Associations open at once.")] = 10,
    quiet_seconds: Annotated[
        float, typer.Option(envvar="SHORTAXIS_NODE_QUIET_SECONDS", help="A study is complete when nothing arrives for so long.")
    ] = 60.0,
    seg: Annotated[str, typer.Option("--dicom-seg", metavar="PHASES", help="Phases that are sent as DICOM-SEG: ed-es or all.")] = "ed-es",
    answer_refusals: Annotated[
        bool,
        typer.Option("--answer-refusals", envvar="SHORTAXIS_NODE_ANSWER_REFUSALS", help="Send an SR that says why there are no results."),
    ] = False,
    keep_hours: Annotated[
        float, typer.Option(envvar="SHORTAXIS_NODE_KEEP_HOURS", help="Hours that images and results are kept after a study is done.")
    ] = 24.0,
    min_free: Annotated[int, typer.Option(metavar="MB", help="Refuse images where the disk has less free space.")] = 1000,
    http_address: Annotated[
        str, typer.Option(metavar="IP", envvar="SHORTAXIS_NODE_HTTP_ADDRESS", help="Address for /health and /metrics.")
    ] = "127.0.0.1",
    http_port: Annotated[
        int | None, typer.Option(envvar="SHORTAXIS_NODE_HTTP_PORT", help="Port for /health and /metrics; without it there are none.")
    ] = None,
    tls_certificate: Annotated[Path | None, typer.Option(metavar="FILE", help="Certificate of this node (PEM): DICOM over TLS.")] = None,
    tls_key: Annotated[Path | None, typer.Option(metavar="FILE", help="Its private key (PEM).")] = None,
    tls_authorities: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Certificates that those of peers must be signed by (PEM).")
    ] = None,
    keep_identifiers: Annotated[bool, typer.Option("--keep-identifiers", help="Name the patient on the pages of the PDF.")] = False,
    model: Annotated[Path | None, typer.Option(metavar="FILE", help="Model file; by default the released model.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; by default OMP_NUM_THREADS, or all cores.")] = None,
) -> None:
    """Receive studies as a DICOM node, segment them, and send DICOM-SEG, a measurement report (SR) and the report as PDF.

    Research use only. The log and all names of files are free of identifiers. Stop it with Ctrl+C or SIGTERM; it goes on where it was.
    Credentials of a DICOMweb server come from SHORTAXIS_DICOMWEB_TOKEN, _TOKEN_FILE, or _USER and _PASSWORD.

    [dim]Example:[/]

    shortaxis node --folder node --to ORTHANC@localhost:4242 --calling ORTHANC --http-port 8080
    """
    from shortaxis.errors import InputError
    from shortaxis.pacs.options import NodeOptions, TlsFiles

    tls = None
    if tls_certificate is not None and tls_key is not None:
        tls = TlsFiles(tls_certificate, tls_key, tls_authorities)
    elif tls_certificate or tls_key or tls_authorities:
        msg = "--tls-certificate and --tls-key belong together; give both"
        raise InputError(msg)
    options = NodeOptions(
        folder=folder,
        destination=to,
        ae_title=ae_title,
        address=address,
        port=port,
        calling=tuple(calling or ()),
        max_associations=max_associations,
        quiet_seconds=quiet_seconds,
        seg_phases=seg,
        answer_refusals=answer_refusals,
        keep_hours=keep_hours,
        min_free_bytes=min_free * _MEGABYTE,
        http_address=http_address,
        http_port=http_port,
        tls=tls,
        keep_identifiers=keep_identifiers,
    )
    from shortaxis.pacs.service import serve

    serve(options, model=model, device=device, threads=threads, on_line=note)
