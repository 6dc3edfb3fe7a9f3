import pytest
from tests.make import *
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

async def test_probe(tmp_path, import_files, graph):
    item = Dataset(); item.SliceThickness = 3; item.PixelSpacing=[1,2]
    item2 = Dataset(); item2.SliceThickness = 5
    for i in range(4):
        make_file(tmp_path / f"{i}.dcm", PatientID=f"p{i}", StudyDate=f"202{i}0101", PixelSpacing=[0.4,0.8],
          FrameIncrementPointer=0x00181063, PixelMeasuresSequence=Sequence([item, item2]),
          ScanningSequence=["GR"] if i<2 else ["GR","IR"])
    import_files(tmp_path)
    async def t(q, **v):
        r = await graph.execute(q, **v)
        print(q[:150], "->", r.data, [ (e.message, e.extensions) for e in r.errors or ()])
    await t('{patients(orderBy:[{field:LATEST_STUDY_TIME,direction:DESC}]){nodes{uid}}}')
    await t('{images(filter:{header:{elements:[{keyword:"SliceThickness",anywhere:true},{keyword:"PixelSpacing",anywhere:true}]}}){totalCount}}')
    await t('{images(filter:{header:{element:{keyword:"FrameIncrementPointer",text:{eq:"(0018,1063)"}}}}){totalCount}}')
    await t('{images(filter:{header:{element:{keyword:"Rows",text:{isNull:true}}}}){totalCount}}')
    await t('{series(filter:{pixelSpacing:{any:{gte:0.5,lte:0.7}}}){totalCount}}')
    await t('{series(orderBy:[{field:SCANNING_SEQUENCE}]){nodes{scanningSequence}}}')
    await t('{series(filter:{description:{regex:"(?P<a>s)"}}){totalCount}}')
    await t('{series(filter:{description:{regex:"("}}){totalCount}}')
    await t('{series(filter:{description:{regex:"\\\\ms"}}){totalCount}}')
    await t('{series(filter:{created:{gt:"0001-01-01T00:00:00+05:00"}}){totalCount}}')
    await t('query($f:SeriesFilter){series(filter:$f){totalCount}}', f={"description":{"eq":"\ud800"}})
    f = {"uid":{"eq":"a"}}
    for _ in range(300): f={"not":f}
    await t('query($f:SeriesFilter){series(filter:$f){totalCount}}', f=f)
    await t('query($f:SeriesFilter){series(filter:$f){totalCount}}', f={"and":[{"description":{"in":[str(i)+"x"*j for i in range(9999)]}} for j in range(5)]})
    assert 0
