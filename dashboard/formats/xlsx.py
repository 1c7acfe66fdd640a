"""XLSX, written as it is read: a sheet of rows, and one that says what they are.

Texts are inline strings, which no spreadsheet takes for formulas.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from xml.sax.saxutils import escape

from dashboard import values
from dashboard.blocks import Block
from dashboard.columns import Column
from dashboard.formats.table import Buffer, Table, heading

#: Rows of a sheet, without the headings.
MOST_ROWS = 1_048_575
#: Of a cell, in UTF-16's units.
MOST_CHARACTERS = 32_767

_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_KIND = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_TIME_FORMATS = {"es": "dd/mm/yyyy hh:mm:ss", "en": "yyyy-mm-dd hh:mm:ss"}
_EPOCH = dt.datetime(1899, 12, 30)  # noqa: DTZ001 - a spreadsheet's times have no zone
# Before it the days of a spreadsheet are one off.
_FIRST_TIME = dt.datetime(1900, 3, 1)  # noqa: DTZ001
# A text that looks like the file format's own notation for a character.
_ESCAPED = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")
# Some readers know no others; from about here on a sheet may need the larger notation of sizes.
_SMALL_ROWS = 100_000


def write(table: Table, blocks: Iterable[Block], about: Callable[[], dict[str, Any]]) -> Iterator[bytes]:
    """The file. Too long texts are cut, say so, and are counted in `table.cut_cells`.

    Raises:
        OverflowError: more rows than a sheet can have.
    """
    buffer = Buffer()
    widths = "".join(
        f'<col min="{place}" max="{place}" width="{_width(column)}" customWidth="1"/>'
        for place, column in enumerate(table.columns, 1)
    )
    headings = "".join(_text(heading(column, table.zone), ' s="2"') for column in table.columns)
    writers = [(column.name, _writer(column, table)) for column in table.columns]
    large = table.rows is None or table.rows > _SMALL_ROWS
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=4) as archive:  # type: ignore[call-overload]
        for name, content in _parts(table.language).items():
            archive.writestr(name, _HEAD + content)
        with archive.open("xl/worksheets/sheet1.xml", "w", force_zip64=large) as sheet:
            sheet.write(
                f'{_HEAD}<worksheet xmlns="{_MAIN}"><sheetViews><sheetView workbookViewId="0"><pane ySplit="1" '
                'topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews>'
                f"<cols>{widths}</cols><sheetData><row>{headings}</row>".encode()
            )
            rows = 0
            for block in blocks:
                rows += len(block)
                if rows > MOST_ROWS:
                    raise OverflowError("more rows than a sheet can have")
                sheet.write(
                    "".join(
                        f"<row>{''.join([write(item[name]) for name, write in writers])}</row>" for item in block
                    ).encode()
                )
                yield buffer.take()
            sheet.write(b"</sheetData></worksheet>")
        archive.writestr("xl/worksheets/sheet2.xml", _about_sheet(about()))
    yield buffer.take()


def _writer(column: Column, table: Table) -> Callable[[Any], str]:
    def time(moment: dt.datetime) -> str:
        local = moment.astimezone(table.zone).replace(tzinfo=None)
        if local < _FIRST_TIME:
            return _text(local.isoformat(" ", "seconds"))
        return f'<c s="1"><v>{(local - _EPOCH) / dt.timedelta(days=1):.10f}</v></c>'

    def cell(text: str) -> str:
        return _text(_bounded(text, table))

    match column.kind:
        case "number":
            return lambda number: f"<c><v>{number!r}</v></c>" if math.isfinite(number) else _text(str(number))
        case "time":
            return time
        case "array":
            return lambda items: cell(", ".join(items))
        case _:
            return cell


def _bounded(text: str, table: Table) -> str:
    """The text as it is shown; cut, with a note, if it is too long for a cell."""
    shown = values.show(text[: MOST_CHARACTERS + 1].replace("\r\n", "\n"))
    shown = shown.replace("\ufffe", "⟨U+FFFE⟩").replace("\uffff", "⟨U+FFFF⟩")
    if len(text) <= MOST_CHARACTERS and _units(shown) <= MOST_CHARACTERS:
        return shown
    table.cut_cells += 1
    note = table.cut_note.replace("{count}", str(len(text)))
    room = MOST_CHARACTERS - _units(note)
    # Two units make one of some characters: half of one at the end is dropped.
    return shown.encode("utf-16-le")[: 2 * room].decode("utf-16-le", "ignore") + note


def _units(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2


def _text(text: str, style: str = "") -> str:
    if not text:
        return "<c/>"
    return f'<c t="inlineStr"{style}><is><t xml:space="preserve">{escape(_ESCAPED.sub("_x005F_", text))}</t></is></c>'


def _width(column: Column) -> int:
    return {"time": 22, "number": 14, "json": 40, "uuid": 38}.get(column.kind, 18)


def _about_sheet(about: dict[str, Any]) -> str:
    lines = (
        (name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str))
        for name, value in about.items()
    )
    rows = "".join(f"<row>{_text(name)}{_text(values.show(text)[:MOST_CHARACTERS])}</row>" for name, text in lines)
    widths = "".join(f'<col min="{n}" max="{n}" width="{width}" customWidth="1"/>' for n, width in ((1, 22), (2, 90)))
    return f'{_HEAD}<worksheet xmlns="{_MAIN}"><cols>{widths}</cols><sheetData>{rows}</sheetData></worksheet>'


def _parts(language: str) -> dict[str, str]:
    """The small files of a workbook with two sheets."""
    sheets = {"es": ("Filas", "Acerca de"), "en": ("Rows", "About")}[language]
    names = "".join(f'<sheet name="{name}" sheetId="{n}" r:id="rId{n}"/>' for n, name in enumerate(sheets, 1))
    targets = [("worksheet", "worksheets/sheet1.xml"), ("worksheet", "worksheets/sheet2.xml"), ("styles", "styles.xml")]
    links = "".join(
        f'<Relationship Id="rId{n}" Type="{_OFFICE}/{kind}" Target="{target}"/>'
        for n, (kind, target) in enumerate(targets, 1)
    )
    overrides = "".join(
        f'<Override PartName="/xl/{name}.xml" ContentType="{_KIND}.{kind}+xml"/>'
        for name, kind in (
            ("workbook", "sheet.main"),
            ("worksheets/sheet1", "worksheet"),
            ("worksheets/sheet2", "worksheet"),
            ("styles", "styles"),
        )
    )
    return {
        "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types"><Default Extension="rels" '
        f'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>{overrides}</Types>',
        "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="rId1" '
        f'Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>{names}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">{links}</Relationships>',
        "xl/styles.xml": f'<styleSheet xmlns="{_MAIN}"><numFmts count="1"><numFmt numFmtId="164" '
        f'formatCode="{_TIME_FORMATS[language]}"/></numFmts><fonts count="2"><font><sz val="11"/><name val="Calibri"/>'
        '</font><font><b/><sz val="11"/><name val="Calibri"/></font></fonts><fills count="2"><fill><patternFill '
        'patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill></fills><borders count="1">'
        '<border><left/><right/><top/><bottom/><diagonal/></border></borders><cellStyleXfs count="1"><xf '
        'numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs><cellXfs count="3"><xf numFmtId="0" '
        'fontId="0" fillId="0" borderId="0" xfId="0"/><xf numFmtId="164" fontId="0" fillId="0" borderId="0" xfId="0" '
        'applyNumberFormat="1"/><xf numFmtId="0" fontId="1" fillId="0" borderId="0" xfId="0" applyFont="1"/></cellXfs>'
        '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles>'
        "</styleSheet>",
    }
