"""Who is in the demo: two nodes, the institutions, the enterprises and one account for each. All invented.

Names end in （演示）, telephone numbers lie in a block that nobody can be reached under, and addresses say that they
are made up, so that nothing here is ever taken for a real body.
"""

from random import Random

from msgspec import Struct

from market.accounts.model import Role
from market.enterprises import uscc
from market.regions.model import Region, full_name

MARK = "（演示）"
CITY, PROVINCE = "440300", "440000"
NODES = {PROVINCE: f"广东省知识产权公共服务骨干节点{MARK}", CITY: f"深圳市知识产权公共服务骨干节点{MARK}"}

TRADEMARK = tuple(range(11, 26))
PATENT = (1, 2, 4, 5, 6, 7, 8, 9)
ITEMS_OF_KIND = {
    "backbone_node": (10, 27, 28, 29, 30, 31, 32, 33),
    "protection_center": (3, 10, 27, 28, 29, 30, 31),
    "rapid_center": (3, 10, 27, 29, 30),
    "patent_agency_office": (*PATENT, 26, 30, 31, 33),
    "tm_window": (*TRADEMARK, 32, 33),
    "tisc": (10, 27, 30, 31),
    "univ_center": (7, 10, 30, 31),
    "filing_point": (10, 30, 32),
    "pledge_functional_platform": (6, 7, 8, 24),
}
"""Numbers of the items that each kind of institution serves."""

# name, kind, region, place, focus; place and focus are the words its offerings are described with, each only once.
_INSTITUTIONS = (
    ("深圳专利代办处", "patent_agency_office", "440304", "深圳代办处", "新一代信息技术"),
    ("深圳市知识产权保护中心", "protection_center", "440300", "市保护中心", "新能源"),
    ("深圳市知识产权公共服务中心", "backbone_node", "440300", "市公共服务中心", "先进制造"),
    ("深圳市南山区知识产权保护中心", "protection_center", "440305", "南山", "互联网软件"),
    ("深圳市宝安区知识产权保护中心", "protection_center", "440306", "宝安", "智能终端"),
    ("罗湖珠宝知识产权快速维权中心", "rapid_center", "440303", "水贝", "珠宝首饰"),
    ("龙岗眼镜家居知识产权快速维权中心", "rapid_center", "440307", "横岗", "眼镜家居"),
    ("龙华时尚知识产权快速维权中心", "rapid_center", "440309", "大浪", "时尚服饰"),
    ("光明模具知识产权快速维权中心", "rapid_center", "440311", "公明", "精密模具"),
    ("深圳专利代办处南山工作站", "patent_agency_office", "440305", "粤海", "人工智能"),
    ("深圳专利代办处宝安工作站", "patent_agency_office", "440306", "西乡", "激光装备"),
    ("深圳专利代办处龙岗工作站", "patent_agency_office", "440307", "坂田", "通信设备"),
    ("深圳专利代办处坪山工作站", "patent_agency_office", "440310", "坑梓", "新能源汽车"),
    ("商标业务深圳受理窗口", "tm_window", "440303", "罗湖窗口", "老字号"),
    ("商标业务前海受理窗口", "tm_window", "440305", "前海窗口", "跨境电商"),
    ("商标业务福田受理窗口", "tm_window", "440304", "福田窗口", "文化创意"),
    ("商标业务宝安受理窗口", "tm_window", "440306", "宝安窗口", "消费电子"),
    ("商标业务龙岗受理窗口", "tm_window", "440307", "龙岗窗口", "家居用品"),
    ("商标业务龙华受理窗口", "tm_window", "440309", "龙华窗口", "服装"),
    ("深圳科技园技术与创新支持中心", "tisc", "440305", "科技园", "物联网"),
    ("大运技术与创新支持中心", "tisc", "440307", "大运", "机器人"),
    ("光明科学城技术与创新支持中心", "tisc", "440311", "科学城", "合成生物"),
    ("坪山生物医药技术与创新支持中心", "tisc", "440310", "坪山", "生物医药"),
    ("河套技术与创新支持中心", "tisc", "440304", "河套", "深港合作研发"),
    ("西丽大学城知识产权信息服务中心", "univ_center", "440305", "西丽", "新材料"),
    ("龙岗高校知识产权信息服务中心", "univ_center", "440307", "龙城", "大数据"),
    ("光明高校知识产权信息服务中心", "univ_center", "440311", "新湖", "脑科学"),
    ("南山图书馆知识产权信息服务网点", "filing_point", "440305", "南头", "创客团队"),
    ("盐田图书馆知识产权信息服务网点", "filing_point", "440308", "沙头角", "海洋装备"),
    ("罗湖图书馆知识产权信息服务网点", "filing_point", "440303", "翠竹", "餐饮零售"),
    ("龙华图书馆知识产权信息服务网点", "filing_point", "440309", "民治", "电子商务"),
    ("福田知识产权运营服务平台", "pledge_functional_platform", "440304", "车公庙", "金融科技"),
    ("前海知识产权运营服务平台", "pledge_functional_platform", "440305", "前海", "科技服务"),
    ("广东省知识产权公共服务中心", "backbone_node", "440106", "省公共服务中心", "战略性新兴产业"),
    ("广州专利代办处", "patent_agency_office", "440106", "广州代办处", "生物医药与健康"),
    ("商标业务广州受理窗口", "tm_window", "440104", "广州窗口", "美妆日化"),
    ("佛山市知识产权保护中心", "protection_center", "440604", "佛山", "智能家电"),
    ("东莞市知识产权快速维权中心", "rapid_center", "441900", "东莞", "玩具潮品"),
    ("珠海知识产权运营服务平台", "pledge_functional_platform", "440402", "珠海", "打印耗材"),
    ("惠州技术与创新支持中心", "tisc", "441302", "惠州", "石化材料"),
)
_ABOUT = {
    "backbone_node": "统筹辖区知识产权公共服务，直接提供检索、咨询和维权援助，重点支持{focus}企业。",
    "protection_center": "面向{focus}等产业提供快速预审、维权援助和纠纷调解，一个窗口收件。",
    "rapid_center": "服务{focus}产业，受理快速预审、侵权线索和调解，设有驻市场服务点。",
    "patent_agency_office": "受理专利申请、费减、质押和许可备案等业务，每周为{focus}企业开一次集中接件。",
    "tm_window": "受理商标注册、变更、转让、续展等业务，熟悉{focus}行业的商品分类。",
    "tisc": "为{focus}领域的中小企业做专利检索分析，并辅导研发人员自己检索。",
    "univ_center": "依托高校图书馆和{focus}学科馆员，向社会开放专利信息服务。",
    "filing_point": "在图书馆里设咨询台，面向{focus}和个人，随到随问。",
    "pledge_functional_platform": "撮合许可转让与质押融资，协助{focus}企业准备登记材料，不收中介费。",
}
# name, kind, region, industry, product, brand
_ENTERPRISES = (
    ("霖曜储能科技", "hnte", "440306", "C3841", "便携式储能电源", "霖曜"),
    ("拾光机器人", "srdi_sme", "440305", "C3964", "扫地机器人", "拾光伴"),
    ("澄澈光学", "srdi_little_giant", "440311", "C4040", "激光雷达镜组", "澄澈"),
    ("脉息医疗器械", "hnte", "440310", "C3581", "掌上心电仪", "脉息"),
    ("云笺软件", "tech_sme", "440305", "I6511", "合同审阅软件", "云笺"),
    ("大浪织语服饰", "other", "440309", "C1811", "速干运动服", "织语"),
    ("水贝金禾珠宝", "other", "440303", "C2438", "古法金饰", "金禾记"),
    ("横岗明镜眼镜", "innovative_sme", "440307", "C3587", "儿童防控镜架", "明小镜"),
    ("星屿跨境电商", "other", "440304", "F5292", "宠物喂食器", "星屿"),
    ("坂田微波通信", "hnte", "440307", "C39", "小型基站天线", "微波谷"),
    ("芯栈微电子", "srdi_sme", "440305", "C3972", "快充模块", "芯栈"),
    ("沙头角海工装备", "tech_sme", "440308", "C35", "水下检测机器人", "海探"),
    ("南头造物文创", "innovative_sme", "440305", "C2451", "积木编程玩具", "造物盒"),
    ("公明恒锐模具", "srdi_sme", "440311", "C3525", "多腔注塑模具", "恒锐"),
    ("民治朝颜美妆", "other", "440309", "C2682", "修护面霜", "朝颜"),
    ("车公庙鼎数科技", "tech_sme", "440304", "I651", "风控数据平台", "鼎数"),
    ("坑梓驰电汽车部件", "srdi_little_giant", "440310", "C3841", "车载电池热管理组件", "驰电"),
    ("西乡锐光激光", "hnte", "440306", "C401", "手持激光焊接机", "锐光"),
    ("翠竹味里餐饮", "other", "440303", "C14", "潮汕牛肉丸", "味里"),
    ("龙城木里家居", "innovative_sme", "440307", "C211", "升降书桌", "木里"),
)
_PEOPLE = [
    "林晓",
    "陈嘉禾",
    "何雨桐",
    "黄子墨",
    "梁思远",
    "吴清越",
    "郑亦凡",
    "谢知微",
    "罗景行",
    "许若溪",
    "唐望舒",
    "韩予安",
    "曾佳宁",
    "彭书言",
    "叶星河",
]


class Institution(Struct, frozen=True, kw_only=True):
    """A demo institution; ``quality`` (0..1) is hidden: it shows only in how the institution behaves."""

    uscc: str
    name: str
    kind: str
    region_code: str
    address: str
    phone: str
    summary: str
    place: str
    focus: str
    quality: float


class Enterprise(Struct, frozen=True, kw_only=True):
    """A demo enterprise or person; ``product``, ``brand`` and ``place`` fill its needs."""

    name: str
    uscc: str | None
    kind: str
    region_code: str
    industry_code: str | None
    contact_name: str
    contact_phone: str
    product: str
    brand: str
    place: str


class Staff(Struct, frozen=True):
    """Somebody who works at the node of a region."""

    login: str
    role: Role
    name: str
    region_code: str


STAFF = (
    Staff("coordinator", Role.COORDINATOR, f"周敏{MARK}", CITY),
    Staff("coordinator2", Role.COORDINATOR, f"何涛{MARK}", CITY),
    Staff("province", Role.COORDINATOR, f"梁静{MARK}", PROVINCE),
    Staff("clerk", Role.CLERK, f"苏叶{MARK}", CITY),
)
ENTERPRISES = len(_ENTERPRISES)
LOGINS = {
    "enterprise": f"企业：{_ENTERPRISES[0][0]}",
    "institution": f"服务机构：{_INSTITUTIONS[0][0]}",
    "coordinator": "深圳市骨干节点工作人员",
    "coordinator2": "深圳市骨干节点工作人员（另一位）",
    "province": "广东省骨干节点工作人员",
    "clerk": "深圳市骨干节点窗口人员",
    "admin": "管理员",
    "admin2": "管理员（另一位，审核清单）",
}
"""Logins to look around with, and whose they are."""


def institutions(rng: Random, regions: dict[str, Region]) -> list[Institution]:
    """Every institution, those outside of Shenzhen last; the first is the one the login ``institution`` belongs to."""
    found = []
    for number, (name, kind, region, place, focus) in enumerate(_INSTITUTIONS):
        found.append(
            Institution(
                uscc=uscc.generate(rng, department="1", kind="2", region=region),
                name=name + MARK,
                kind=kind,
                region_code=region,
                address=f"{full_name(region, regions)}演示路 {number + 1} 号（虚构地址）",
                phone=f"0755-0000-01{number:02d}",
                summary=_ABOUT[kind].format(focus=focus),
                place=place,
                focus=focus,
                quality=round(rng.betavariate(4, 2), 3),
            )
        )
    return found


def enterprises(rng: Random, regions: dict[str, Region]) -> list[Enterprise]:
    """Every enterprise; the first is the one the login ``enterprise`` belongs to."""
    return [
        Enterprise(
            name=f"深圳市{name}有限公司{MARK}",
            uscc=uscc.generate(rng, department="9", kind="1", region=region),
            kind=kind,
            region_code=region,
            industry_code=industry,
            contact_name=_person(number),
            contact_phone=f"0755-0000-02{number:02d}",
            product=product,
            brand=brand,
            place=regions[region].name,
        )
        for number, (name, kind, region, industry, product, brand) in enumerate(_ENTERPRISES)
    ]


def persons(regions: dict[str, Region]) -> list[Enterprise]:
    """Natural persons, for whom the clerk files at the counter; they have no account."""
    places = ("440303", "440304", "440306", "440307", "440309")
    wares = (
        ("手工皂", "皂物"),
        ("折叠鱼竿", "老渔"),
        ("凉茶包", "半夏"),
        ("手机支架", "支点"),
        ("布艺灯笼", "灯影"),
    )
    return [
        Enterprise(
            name=_person(number + 5),
            uscc=None,
            kind="individual",
            region_code=region,
            industry_code=None,
            contact_name=_person(number + 5),
            contact_phone=f"0755-0000-03{number:02d}",
            product=product,
            brand=brand,
            place=regions[region].name,
        )
        for number, (region, (product, brand)) in enumerate(zip(places, wares, strict=True))
    ]


def _person(number: int) -> str:
    return _PEOPLE[number % len(_PEOPLE)] + MARK
