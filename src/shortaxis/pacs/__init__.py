"""Connection to a PACS: a DICOM node that segments what it receives, and studies from and to DICOMweb servers.

The room needs `pip install 'shortaxis[hospital]'`: pynetdicom and dicomweb-client, which are imported when they are first used.
"""

from __future__ import annotations
