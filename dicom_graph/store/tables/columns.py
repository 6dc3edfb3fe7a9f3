"""The columns of the tables, for statements without the ORM.

Of attributes of the ORM's classes SQLAlchemy makes ORM statements: for each SELECT in them it looks
through all that is below, so that filters of a hundred conditions took three times as long.
"""

from dicom_graph.store.tables.csa import CsaNumber, CsaPartElement, CsaPath, CsaText
from dicom_graph.store.tables.entities import Image, Patient, Series, Study
from dicom_graph.store.tables.headers import DataElement, DataElementValue, ElementSet, Header

PATIENT = Patient.__table__.c
STUDY = Study.__table__.c
SERIES = Series.__table__.c
IMAGE = Image.__table__.c
HEADER = Header.__table__.c
DATA_ELEMENT = DataElement.__table__.c
DATA_ELEMENT_VALUE = DataElementValue.__table__.c
ELEMENT_SET = ElementSet.__table__.c
CSA_PATH = CsaPath.__table__.c
CSA_NUMBER = CsaNumber.__table__.c
CSA_TEXT = CsaText.__table__.c
CSA_PART_ELEMENT = CsaPartElement.__table__.c
