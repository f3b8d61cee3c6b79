package exam

// Chinese texts of the families that exist in several languages.

var unitsChinese = unitsText{
	start:  []string{"«who»早上有«amount»材料。", "«who»的仓库里有«amount»材料。"},
	add:    []string{"然后又运来«amount»。", "接着入库«amount»。"},
	remove: []string{"之后发放了«amount»。", "一位客户取走了«amount»。"},
	times:  []string{"然后库存增加到原来的«n»倍。", "一次大采购之后，库存变为之前的«n»倍。"},
	share:  []string{"然后把库存平均分成«n»份，只留下其中一份。", "库存平均分给«n»个站点，«who»只保留一个站点的份额。"},
}

var unitsSkeletonsChinese = []string{
	"«story»\n\n最后还剩多少？单位为«unit»。",
	"请核对库存。«story»最终数量是多少«unit»？",
	"«story»报告需要期末库存，以«unit»表示。",
	"今天的情况如下：«story»\n请给出剩余数量，单位«unit»。",
	"能帮我算一下库存吗？«story»求剩余量（«unit»）。",
}

var percentChinese = percentText{
	start:     []string{"«who»订购设备，标价为«amount»。", "给«who»的报价从«amount»开始。"},
	discount:  []string{"当时的价格降低«n»%。", "在现价基础上减去«n»%。"},
	surcharge: []string{"在现价基础上加«n»%的税。", "当时的价格上涨«n»%。"},
	coupon:    []string{"扣除一张«n»的代金券。", "卖方优惠«n»，从价格中减去。"},
	fee:       []string{"加收手续费«n»。", "运费另加«n»。"},
}

var percentSkeletonsChinese = []string{
	"«story»以上步骤按顺序进行。应付多少EUR？只对最终结果四舍五入到两位小数。",
	"请按所给顺序核对账单。«story»\n最终金额是多少EUR？只在最后四舍五入到两位小数。",
	"«story»\n\n按此顺序计算最终价格（EUR），只对结果保留两位小数。",
	"我无法重现这个价格，顺序很重要。«story»最终金额是多少EUR（最后才四舍五入，保留两位小数）？",
	"一共要付多少EUR？«story»请一步一步计算，只把结果四舍五入到两位小数。",
}

var travelChinese = travelText{
	start:    []string{"«who»在«time»出发。", "«time»，«who»离开车场。"},
	leg:      []string{"然后«who»以每小时«v»公里的速度行驶«n»分钟。", "有«n»分钟的时速为«v»公里。"},
	rest:     []string{"之后«who»休息«n»分钟。", "因道口关闭，原地等待«n»分钟。"},
	distance: []string{"总路程是多少«unit»？", "«who»一共行驶了多少«unit»？"},
	arrival:  []string{"行程在几点几分结束？", "«who»几点几分到达？"},
}

var travelSkeletonsChinese = []string{
	"«story»\n\n«ask»",
	"请核对这份行程报告。«story»«ask»",
	"行车记录：«story»\n«ask»",
	"报销还缺一个数据。«story»«ask»",
	"«ask»已知情况：«story»",
}

var datesChinese = datesText{
	months:   []string{"1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"},
	weekdays: []string{"星期日", "星期一", "星期二", "星期三", "星期四", "星期五", "星期六"},
	layout:   "«year»年«month»月«day»日",
	start:    []string{"«who»在«date»签订合同。", "«who»的项目从«date»开始。"},
	days:     []string{"下一步在«n»天之后。", "再过«n»天是下一个节点。"},
	weeks:    []string{"下一步在«n»周之后。", "再过整整«n»周是下一个节点。"},
	back:     []string{"这个日期提前«n»天。", "经协商，这一步提早«n»天进行。"},
	weekday:  []string{"下一步在该日期之后的第一个«day»，不能是当天。", "由此推到下一个«day»，不算当天。"},
	askDate:  []string{"最后是哪一天？", "最终日期是什么？"},
	askDay:   []string{"最终日期是星期几？", "最后一天是星期几？"},
}

var datesSkeletonsChinese = []string{
	"«story»\n\n«ask»",
	"请核对日程。«story»«ask»",
	"按公历计算，起始日不计入天数。«story»«ask»",
	"«ask»背景：«story»",
	"我们要预订会议室。«story»\n«ask»",
}

var zonesChinese = zonesText{
	start: []string{"包裹«who»在当地时间«time»离开«place»（«zone»）。", "当地时间«time»，包裹«who»从«place»（«zone»）出发。"},
	hop:   []string{"飞往«place»（«zone»）需要«h»小时«m»分钟。", "然后空运到«place»（«zone»），用时«h»小时«m»分钟。"},
	wait:  []string{"在那里等待«h»小时«m»分钟。", "中转停留«h»小时«m»分钟。"},
	ask:   []string{"到达«place»时，当地时间是几点几分？", "«who»到达«place»的当地时间是多少？"},
}

var zonesSkeletonsChinese = []string{
	"«story»\n\n«ask»",
	"请核对这条路线。«story»«ask»",
	"括号内为与UTC的时差，不会变化。«story»«ask»",
	"«ask»路线：«story»",
	"客户想知道什么时候到场。«story»\n«ask»",
}
