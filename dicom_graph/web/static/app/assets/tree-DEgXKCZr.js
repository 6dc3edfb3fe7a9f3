<<<<<<<< HEAD:dicom_graph/web/static/app/assets/tree-DEgXKCZr.js
import{c as e,o as t}from"./fields-BhL0PnN7.js";var n=e(`
========
import{o as e}from"./states-BQIiNfpe.js";import{s as t}from"./fields-DtBprXXW.js";var n=e(`
>>>>>>>> e55d45f (Pages: Home, patient, study, Explore, Imports, Quality):dicom_graph/web/static/app/assets/tree-BCdUiFsZ.js
  query Items($id: ID!) {
    node(id: $id) {
      ... on DataElement {
        id
        items { id index elements { id tag privateCreator vr keyword name vm length warnings value values { index raw } } }
      }
    }
  }
`);function r(e){if(e.vr===`SQ`)return e.vm===1?`1 item`:`${String(e.vm)} items`;let t=e.values.slice(0,12).map(e=>e.raw??``).join(`\\`);return/^(OB|OW|OF|OD|OL|OV|UN)$/.test(e.vr)&&(t.length>40||!t)?`${e.length} bytes`:t.length>160?`${t.slice(0,160)}…`:e.values.length>12?`${t}…`:t}function i(e){if(e.vr===`SQ`||e.vr===`UI`)return``;if(Array.isArray(e.value))return`${String(e.vm)} values`;let n=t(e.value);return n.length>120?`${n.slice(0,120)}…`:n}var a=(e,t)=>`${e.name} ${e.keyword??``} ${e.tag} ${e.privateCreator??``} ${r(e)}`.toLowerCase().includes(t);function o(e,t){let n=t.text.toLowerCase(),o=[],s=e=>a(e,n)||(t.loaded.get(e.id)?.some(e=>e.some(s))??!1),c=(e,l,u)=>{let d=e.filter(e=>(t.isPrivate||!e.privateCreator)&&(!n||s(e))),f=``;for(let e of d){let p=e.privateCreator?`Group ${e.tag.slice(1,5)}, private: ${e.privateCreator}`:`Group ${e.tag.slice(1,5)}`;if(l===0&&p!==f){f=p;let t=d.filter(t=>t.tag.slice(1,5)===e.tag.slice(1,5)&&t.privateCreator===e.privateCreator).length;o.push({kind:`group`,path:`${p} ${String(o.length)}`,name:p,depth:0,tag:``,vr:``,raw:t===1?`1 element`:`${String(t)} elements`,parsed:``,folds:!1,isOpen:!1,isMatch:!1,element:null})}let m=`${u}${e.tag}${e.privateCreator??``}`,h=e.vr===`SQ`&&e.vm>0,g=n!==``&&a(e,n),_=h&&(t.open.has(m)||n!==``&&!g);o.push({kind:`element`,path:m,name:e.name,depth:l,tag:e.tag,vr:e.vr,raw:r(e),parsed:i(e),folds:h,isOpen:_,isMatch:g,element:e}),_&&t.loaded.get(e.id)?.forEach((e,t)=>{if(n&&!g&&!e.some(s))return;let r=`${m}[${String(t)}].`;o.push({kind:`item`,path:r,name:`Item [${String(t)}]`,depth:l+1,tag:``,vr:``,raw:`${String(e.length)} elements`,parsed:``,folds:!1,isOpen:!0,isMatch:!1,element:null}),c(e,l+2,r)})}};return c(e,0,``),o}export{o as n,r,n as t};