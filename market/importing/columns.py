"""The columns of each kind of file: their names in English and Chinese, and an example."""

import csv
import io
import re
from collections.abc import Mapping

from msgspec import Struct

from market.i18n import _
from market.importing.model import KIND_NAMES, ImportFailed, Kind, Problem, Sheet

WORD_SEPARATORS = re.compile(r"[;；、\n]")
TEXT_SEPARATORS = re.compile(r"[;；]")
"""Between the values of one cell: texts have 、 within them."""


class Column(Struct, frozen=True):
    """``names``: what people call it, the first as in the template. ``words``: the vocabulary its values come from."""

    field: str
    names: tuple[str, ...]
    example: str
    required: bool = False
    many: bool = False
    words: str | None = None

    @property
    def label(self) -> str:
        """As problems name it."""
        return _("「{name}」（{field}）", name=self.names[0], field=self.field)


GUIDE_COLUMNS = (  # not translated: columns of a file
    Column("conditions", ("受理条件", "办理条件"), "在本市注册；已取得注册商标", many=True),
    Column("materials", ("申请材料", "所需材料"), "营业执照复印件；情况说明", many=True),
    Column("process", ("办理流程", "办事流程"), "提交申请；审核；领取结果", many=True),
    Column("time_limit", ("办结时限", "办理时限"), "5 个工作日内办结"),
    Column("result", ("办理结果", "结果名称"), "咨询意见书", many=True),
    Column("supervision", ("监督评价渠道", "监督电话"), "服务监督电话 0755-00000100"),
)

COLUMNS: Mapping[Kind, tuple[Column, ...]] = {  # not translated: columns of a file
    Kind.ITEMS: (
        Column("code", ("服务事项编码", "事项编码", "编码"), "EX-2026-01", required=True),
        Column("number", ("序号", "事项序号"), "101", required=True),
        Column("name", ("服务事项名称", "事项名称", "名称"), "商标品牌培育辅导", required=True),
        Column("item_group", ("事项分类", "事项类别", "分类"), "商标相关", required=True),
        Column("item_list", ("清单类型", "所属清单", "清单"), "个性化清单", required=True, words="item_list"),
        Column("rights", ("权利类型", "知识产权类型"), "商标；地理标志", many=True, words="rights"),
        Column("stages", ("所处环节", "环节", "链条环节"), "运用；管理", many=True, words="stages"),
        Column("aliases", ("通俗说法", "别名", "同义词"), "品牌怎么做大；商标品牌策划", many=True),
        Column("audience", ("服务对象",), "企业；行业协会", many=True),
        Column("channels", ("获取途径", "办理渠道"), "线上；窗口", many=True),
        *GUIDE_COLUMNS,
        Column("fee", ("收费标准", "收费"), "免费"),
        Column("handlers", ("办理机构", "受理机构"), "示例市知识产权保护中心", many=True),
        Column("statutory_limit", ("法定时限", "法定办结时限"), "9个月", words="limit"),
        Column("promised_limit", ("承诺时限", "承诺办结时限"), "5个工作日", words="limit"),
        Column("institution_uscc", ("所属机构信用代码", "所属机构统一社会信用代码"), "", words="institution"),
        Column("effective_until", ("有效期至", "失效日期"), ""),
    ),
    Kind.INSTITUTIONS: (
        Column("uscc", ("统一社会信用代码", "信用代码"), "12440300MA0EXAMP1M", required=True),
        Column("name", ("机构名称", "名称"), "示例区知识产权服务站", required=True),
        Column("kind", ("机构类型", "类型"), "技术与创新支持中心（TISC）", required=True, words="kind"),
        Column(
            "region_code", ("所在地区", "行政区划", "地区", "行政区划代码"), "440305", required=True, words="region"
        ),
        Column("address", ("地址", "办公地址"), "示例路 1 号", required=True),
        Column("phone", ("电话", "联系电话"), "0755-00000100", required=True),
        Column("summary", ("机构简介", "简介"), "面向本区企业提供专利检索和咨询。", required=True),
    ),
    Kind.OFFERINGS: (
        Column(
            "institution_uscc",
            ("机构统一社会信用代码", "服务机构信用代码", "统一社会信用代码"),
            "12440300MA0EXAMP1M",
            required=True,
            words="institution",
        ),
        Column("item_code", ("服务事项编码", "事项编码", "服务事项"), "SZ-2024-10", required=True, words="item"),
        Column("title", ("标题", "服务名称", "名称"), "新产品立项前专利检索", required=True),
        Column("summary", ("服务内容", "简介", "服务简介"), "按技术要点检索，五个工作日内给出清单。", required=True),
        Column(
            "region_codes",
            ("服务地区", "服务范围", "覆盖地区"),
            "440305；深圳市宝安区",
            required=True,
            many=True,
            words="region",
        ),
        Column("audience", ("服务对象", "面向企业"), "高新技术企业；科技型中小企业", many=True, words="audience"),
        Column("channels", ("办理渠道", "获取途径", "服务方式"), "线上；窗口", many=True, words="channels"),
        Column("fee", ("收费标准", "收费", "费用"), "免费"),
        Column("promised_days", ("承诺工作日", "承诺时限", "承诺办结工作日"), "5"),
        Column("capacity", ("同时办理上限", "承接量", "名额"), "10"),
        *GUIDE_COLUMNS,
        Column("guide_audience", ("指南服务对象",), "", many=True),
        Column("guide_channels", ("指南获取途径",), "", many=True),
    ),
    Kind.CALENDAR: (
        Column("region_code", ("地区", "适用地区", "行政区划代码"), "广西壮族自治区", required=True, words="region"),
        Column("day", ("日期",), "2026-04-20", required=True),
        Column("working", ("上班或放假", "安排"), "放假", required=True, words="working"),
        Column("name", ("名称", "节日"), "三月三", required=True),
        Column("year", ("公布年份", "年份"), ""),
        Column("notice", ("通知", "通知文号"), "桂政办发〔2025〕1号"),
    ),
}


def columns_of(sheet: Sheet, kind: Kind | None) -> tuple[Kind, dict[str, Column]]:
    """What the sheet holds, and which column each of its names means; without ``kind`` its columns must tell.

    Raises:
        ImportFailed: the kind cannot be told, or columns are unknown or missing.
    """
    kind = kind or _kind_of(sheet)
    known = {name: column for column in COLUMNS[kind] for name in (column.field, *column.names)}
    meant = {name: known[name] for name in sheet.header if name in known}
    problems = []
    if unknown := [name for name in sheet.header if name not in known]:
        what = _(
            "不认识这些列：{unknown}。{kind}可以有：{known}。请改名或删去。",
            unknown=_("、").join(unknown),
            kind=KIND_NAMES[kind],
            known=_listed(COLUMNS[kind]),
        )
        problems.append(Problem(_("表头"), "", what))
    fields = [column.field for column in meant.values()]
    if twice := [column for column in COLUMNS[kind] if fields.count(column.field) > 1]:
        what = _("这些列出现了两次（中英文名称同义）：{columns}。请只留一列。", columns=_listed(twice))
        problems.append(Problem(_("表头"), "", what))
    if missing := [column for column in _required(kind) if column.field not in fields]:
        what = _("{kind}缺少必填的列：{columns}。请补上。", kind=KIND_NAMES[kind], columns=_listed(missing))
        problems.append(Problem(_("表头"), "", what))
    if problems:
        raise ImportFailed(problems)
    return kind, meant


def label_of(kind: Kind, field: str) -> str:
    """How problems name the column of a field."""
    return next(column.label for column in COLUMNS[kind] if column.field == field)


def template(kind: Kind) -> str:
    """A CSV with the Chinese header and one example row; the BOM is what makes Excel read it as UTF-8."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow([column.names[0] for column in COLUMNS[kind]])
    writer.writerow([column.example for column in COLUMNS[kind]])
    return "\ufeff" + out.getvalue()


def _kind_of(sheet: Sheet) -> Kind:
    names = set(sheet.header)
    fitting = [k for k in Kind if all(names & {column.field, *column.names} for column in _required(k))]
    if len(fitting) == 1:
        return fitting[0]
    needed = "".join(
        "\n  " + _("{kind}（{name}）：{columns}", kind=k.value, name=KIND_NAMES[k], columns=_listed(_required(k)))
        for k in Kind
    )
    what = _("看不出文件里是哪一类内容，请用 --kind 说明，或对照必填的列检查表头：{needed}", needed=needed)
    raise ImportFailed([Problem(_("表头"), "", what)])


def _required(kind: Kind) -> list[Column]:
    return [column for column in COLUMNS[kind] if column.required]


def _listed(columns: list[Column] | tuple[Column, ...]) -> str:
    return _("、").join(_("{name}（{field}）", name=column.names[0], field=column.field) for column in columns)
