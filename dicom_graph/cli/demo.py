"""The sample files that pydicom carries, for a first look."""

from pathlib import Path

import pydicom.data

QUERY = """\
# pydicom's sample files, from the patient to the values.
# Press the triangle, then change something.
query Demo {
  patients(first: 3, offset: 4) {
    totalCount
    nodes {
      name
      studies {
        nodes {
          date
          series {
            nodes {
              modality
              manufacturer
              nImages
              images(first: 1) {
                nodes {
                  header {
                    elements(
                      keywords: ["ImageType", "EchoTime"]
                    ) {
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
