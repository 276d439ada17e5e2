"""Of files and their shape: what cannot be read, and keys that are unknown, missing or of another shape."""

from collections.abc import Mapping

from journeys.codes.code import Code

CODES: Mapping[str, Code] = {
    "J001": Code(
        "error",
        ("cannot read the file: {problem}", "文件读不了：{problem}"),
        why=("A file that cannot be read is no journey; nothing of it is applied.", "读不了的文件不算旅程，里面的内容都不会生效。"),
        cure=("Look whether the file is there and whether you may read it.", "看看文件还在不在、有没有读取权限。"),
    ),
    "J002": Code(
        "error",
        ("expected UTF-8 text, found other bytes; save the file as UTF-8", "文件不是 UTF-8 编码，请另存为 UTF-8"),
        why=("Chinese text saved as GBK or UTF-16 would reach users as rubbish.", "用 GBK 或 UTF-16 存的中文，发给用户会是乱码。"),
        cure=("In the editor choose “Save with encoding: UTF-8”.", "在编辑器里选“以 UTF-8 编码保存”。"),
    ),
    "J003": Code(
        "error",
        ("expected at most {limit} bytes, found {found}; split the file", "文件超过 {limit} 字节（现在 {found}），请拆分"),
        why=(
            "A journey that long cannot be read by a person, and reading it would slow every check.",
            "这么长的旅程没人读得懂，每次检查也会变慢。",
        ),
        cure=("Split it into several journeys, or take out what was pasted in by mistake.", "拆成几个旅程，或删掉误贴进来的内容。"),
    ),
    "J004": Code(
        "error",
        ("expected a journey, found an empty file", "文件是空的，应是一个旅程"),
        why=("An empty file is most often one that was not saved.", "空文件多半是忘了保存。"),
        cure=("Write the journey, or delete the file.", "写上内容，或删掉这个文件。"),
    ),
    "J005": Code(
        "error",
        ("the YAML cannot be read: {problem}", "YAML 写法有误：{problem}"),
        why=("YAML that can be read in two ways is not guessed at.", "写法有歧义时，我们不猜。"),
        cure=(
            "Look at the place named and the line above it: most often a quote, a bracket, a colon or the indentation.",
            "看看这个位置和上一行：多半是引号、括号、冒号或缩进的问题。",
        ),
    ),
    "J006": Code(
        "error",
        ("expected plain values, found the YAML tag {found}; remove it", "不能用 YAML 标签 {found}，请删掉"),
        why=(
            "Tags can make YAML run code or change types unseen; a journey holds plain values only.",
            "标签会让 YAML 暗中改类型甚至执行代码，旅程里只用普通值。",
        ),
        cure=(
            "Remove the tag; put quotes around the value when it is meant to begin with “!”.",
            "删掉标签；如果文字本来就以“!”开头，请加引号。",
        ),
    ),
    "J007": Code(
        "error",
        ("expected plain values, found an anchor or alias {found}; write the value out", "不能用 YAML 锚点或引用 {found}，请直接写值"),
        why=(
            "What a reader sees at a place has to be what stands there; anchors hide it elsewhere.",
            "读到哪里就该看到哪里的内容，锚点把内容藏到了别处。",
        ),
        cure=(
            "Write the value out; put quotes around a text that begins with “*” or “&”.",
            "把值直接写出来；以“*”或“&”开头的文字请加引号。",
        ),
    ),
    "J008": Code(
        "error",
        ("the key {found} stands twice (first on line {first}); keep one", "键 {found} 重复（第 {first} 行已有），请留一个"),
        why=("Of two equal keys one would silently win.", "同名的键会有一个悄悄失效。"),
        cure=("Delete one of the two, or merge their contents.", "删掉一个，或把内容合到一起。"),
    ),
    "J009": Code(
        "error",
        ("expected {expected} at the top of the file, found {found}", "文件最外层应是{expected}，现在是{found}"),
        why=(
            "A journey is a mapping of keys at the left margin; anything else cannot be one.",
            "旅程最外层是顶格写的一组键，别的形状都不是旅程。",
        ),
        cure=("Begin the file with “id: …” at the left margin, without a dash before it.", "文件从顶格的“id: …”开始，前面不要加短横。"),
    ),
    "J010": Code(
        "error",
        ("two files have the journey id {found} (the other: {other}); ids are unique", "旅程 id {found} 与 {other} 重复"),
        why=(
            "The id is how a journey is known in statistics, holdouts and re-entry; two with one id would mix.",
            "统计、对照组和再次进入都认 id，两个旅程同 id 会混在一起。",
        ),
        cure=("Give the copy an id of its own.", "给复制出来的那个换一个 id。"),
    ),
    "J011": Code(
        "error",
        ("expected the file to be named {expected}, after its journey id", "文件名应与旅程 id 一致：{expected}"),
        why=("Whoever looks for a journey looks for its file.", "找旅程的人先找文件名。"),
        cure=("Rename the file, or change the id.", "改文件名，或改 id。"),
    ),
    "J012": Code(
        "error",
        ("unknown key {found}{hint}{under}{known}{rather}", "不认识的键 {found}{hint}{under}{known}{rather}"),
        why=("An unknown key would do nothing, and nobody would notice.", "不认识的键不起作用，却没人会发现。"),
        cure=(
            "Take the spelling that is proposed, or look the key up in docs/journeys.md.",
            "按提示改拼写，或在 docs/journeys.md 里查这个键。",
        ),
    ),
    "J013": Code(
        "error",
        ("expected {expected}, found {found}{hint}", "应是{expected}，现在是{found}{hint}"),
        why=("A value of another shape would mean something that nobody wrote.", "值的形状不对，意思就不是你写的那个。"),
        cure=(
            "Write the value as the sentence says; the editor's completion shows the forms.",
            "按提示的形式改；编辑器的补全会列出可用的写法。",
        ),
    ),
    "J014": Code(
        "error",
        ("the key {found} is missing", "缺少键 {found}"),
        why=("Without this key it is not decided what should happen.", "少了这个键，就没定下该怎么做。"),
        cure=("Add the key.", "补上这个键。"),
    ),
    "J015": Code(
        "error",
        ("expected exactly one of {expected}, found {found}", "{expected} 中应恰好写一个，现在是：{found}"),
        why=(
            "With none of them nothing would happen, and with two it is not said which counts.",
            "一个都没写就什么也不做，写了两个就不知道听谁的。",
        ),
        cure=(
            "Keep exactly one; make two steps (or two journeys) where both are wanted.",
            "只留一个；两个都要就分成两个步骤（或两个旅程）。",
        ),
    ),
    "J016": Code(
        "error",
        ("no journey file found in {found}", "在 {found} 里没有找到旅程文件"),
        why=("A folder without journeys is most often the wrong folder.", "没有旅程的文件夹多半是指错了。"),
        cure=(
            "Look at [definitions] path in config.toml, or make a project with `journeyd init`.",
            "看看 config.toml 里 [definitions] 的 path，或用 `journeyd init` 新建项目。",
        ),
    ),
    "J017": Code(
        "error",
        ("lists are nested more than {limit} deep", "嵌套超过 {limit} 层"),
        why=("So deep a nesting is a mistake of brackets, or nobody can follow it.", "嵌套这么深，不是括号写错就是没人看得懂。"),
        cure=("Close the brackets, or use goto and several journeys instead of nesting.", "检查括号，或用 goto、拆成几个旅程来代替嵌套。"),
    ),
}
