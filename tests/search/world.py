"""A few offerings, institutions and items to search in."""

from msgspec.structs import replace

from search.documents import InstitutionDocument, ItemDocument, NoticeDocument, OfferingDocument

PLAIN = OfferingDocument(
    id=0,
    title="窗口接件",
    summary="现场核对材料。",
    guide="",
    item_code="X-1",
    item_name="接件",
    item_list="authority",
    aliases="",
    rights=("patent",),
    stages=("creation",),
    institution_id=1,
    institution_name="市公共服务中心",
    institution_kind="backbone_node",
    institution_region="440305",
    region_name="广东省深圳市南山区",
    region_codes=("440300",),
    audience=(),
    channels=("线上",),
    fee="免费",
    promised_days=5,
    satisfaction=450,
)

PATENT = replace(
    PLAIN, id=1, title="专利申请受理", item_name="专利申请", summary="发明、实用新型和外观设计，当场核对请求书。"
)
TRADEMARK = replace(
    PLAIN,
    id=2,
    title="商标注册受理",
    item_name="商标注册申请",
    rights=("trademark",),
    summary="核对图样和类别。",
    institution_region="440106",
    region_name="广东省广州市天河区",
    promised_days=3,
    satisfaction=None,
)
PENDING = replace(PLAIN, id=3, title="积案清理", item_name="清理", summary="集中清理待处理案件。", promised_days=None)
ABROAD = replace(
    PLAIN, id=4, title="PCT国际申请辅导", item_name="国际申请", summary="Licensing 与国际检索。", satisfaction=300
)
MEDIATION = replace(
    PLAIN,
    id=5,
    title="纠纷调解",
    item_name="调解",
    rights=("patent", "trademark"),
    stages=("protection",),
    summary="请双方坐下来谈。" * 30 + "达成和解协议的，出具调解书。" + "此后回访。" * 20,
    institution_region="110108",
    region_name="北京市海淀区",
    fee="300元/件",
    aliases="打官司以前 私下解决",
)
MARKUP = replace(
    PLAIN, id=6, title='<b>版权</b>登记 & "作品"', item_name="作品登记", summary="<script>alert(1)</script>版权"
)

OFFERINGS = [PATENT, TRADEMARK, PENDING, ABROAD, MEDIATION, MARKUP]

CENTRE = InstitutionDocument(
    id=1,
    name="南山区知识产权保护中心",
    kind="protection_center",
    kind_name="知识产权保护中心",
    region_code="440305",
    region_name="广东省深圳市南山区",
    address="科技路 1 号",
    summary="快速预审。",
    services=("专利申请",),
    item_codes=("X-1",),
    rights=("patent",),
    stages=("creation",),
    satisfaction=400,
)
ITEM = ItemDocument(
    code="X-1",
    name="专利申请受理",
    group="专利相关",
    item_list="authority",
    aliases=("报专利",),
    rights=("patent",),
    stages=("creation",),
    audience=(),
    channels=("线上",),
    guide="专利请求书",
    fee="免费",
    promised_days=None,
)
NOTICE = NoticeDocument(
    id=1, title="关于专利申请的通知", body="自即日起。", kind="notice", region_code="440305", published_day=20_000
)
