"""The sample files that pydicom carries, for a first look."""

from pathlib import Path

import pydicom.data

QUERY = """\
# The sample files of pydicom, down to the data element.
# Press the button with the triangle, then change something.
{
  patients(first: 3) {
    totalCount
    nodes {
      uid
      studies {
        nodes {
          date
          description
          series {
            nodes {
              modality
              manufacturer
              nImages
              images(first: 1) {
                nodes {
                  number
                  header {
                    element(keyword: "SOPClassUID") { tag vr value }
                    elements(keywords: ["PatientName", "Rows", "Columns"]) {
                      keyword
                      value
                    }
                  }
                }
              }
            }
          }
        }
      }
    }
  }
}
"""


def sample_folder() -> Path:
    """The folder of test files in the pydicom wheel."""
    return Path(pydicom.data.__file__).parent / "test_files"
