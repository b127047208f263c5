"""Words of the field, as data: what each tells of the kind of right, the stage, and of being within scope at all.

Codes are those of RightKind and ChainStage. A caller with better words passes its own; `Understander` takes any.
"""

from matching.types import Cue

# By how surely one word alone means intellectual property. SURE: has no other everyday meaning. LIKELY: mostly, in a
# text to this platform. HINT: common in other quarrels too. NONE: everyday words, which only place a need on the chain.
SURE, LIKELY, HINT, NONE = 1.0, 0.6, 0.3, 0.0

_RIGHTS: tuple[tuple[str, float, str], ...] = (
    ("patent", SURE, "专利 发明人 权利要求 实用新型 外观设计 优先审查 快速预审 审查意见 现有技术 职务发明 查新"),
    ("patent", LIKELY, "发明 新技术 技术方案 研发成果 预审 外观"),
    ("trademark", SURE, "商标 马德里 撤三 类似商品 驰名"),
    ("trademark", LIKELY, "品牌 logo 牌子 店名 抢注 贴牌"),
    ("gi", SURE, "地理标志 地标产品 农产品地标 集体商标 证明商标 原产地"),
    ("gi", LIKELY, "特产 地标"),
    ("ic_layout", SURE, "集成电路 布图设计 版图"),
    ("ic_layout", LIKELY, "芯片 半导体"),
    ("copyright", SURE, "著作权 版权 软著"),
    ("copyright", LIKELY, "盗版 抄袭 原创 盗图"),
    ("trade_secret", SURE, "商业秘密 技术秘密"),
    ("trade_secret", LIKELY, "泄密 配方 竞业限制 客户名单"),
    ("data", SURE, "数据知识产权 数据产权"),
)

_STAGES: tuple[tuple[str, float, str], ...] = (
    ("creation", NONE, "申请 注册 登记 检索 查新 挖掘 布局 预审 研发 发明"),
    ("utilisation", NONE, "许可 转让 质押 融资 贷款 转化 运营 作价入股 变现"),
    ("protection", LIKELY, "侵权 仿冒 仿造 假冒 山寨 抄袭 冒用 仿品 无效宣告 行政裁决 海关备案 337调查 tro"),
    ("protection", HINT, "维权 调解 律师函 下架 假货"),
    ("management", NONE, "变更 续展 注销 更正 补发 年费 副本 转移 到期"),
    ("service", NONE, "咨询 培训 政策 补贴 资助 讲座 托管"),
)

_FIELD: tuple[tuple[float, str], ...] = ((SURE, "知识产权 知产"), (LIKELY, "保护中心 减缴 费减 侵犯 续展"))


def field_cues() -> tuple[Cue, ...]:
    """The table above as cues, a word that stands in two rows being two cues."""
    rights = [Cue(word, weight, rights=(right,)) for right, weight, words in _RIGHTS for word in words.split()]
    stages = [Cue(word, weight, stages=(stage,)) for stage, weight, words in _STAGES for word in words.split()]
    field = [Cue(word, weight) for weight, words in _FIELD for word in words.split()]
    return (*rights, *stages, *field)
