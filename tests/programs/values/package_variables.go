package main

import (
	"errors"
	"time"
)

var (
	packageCount   = 3
	packageText    = "of the package"
	packageList    = []string{"x", "y"}
	packageTable   = map[string]int{"one": 1, "two": 2}
	packageItem    = item{Number: 4, Name: "global"}
	packageOrder   = makeOrder(99)
	packageNothing *order
	packageError   error = errors.New("global")
	packageShape   shape = circle{2.5}
	packageArray         = [2]point{{1, 2}, {3, 4}}
	packageTimeout       = 30 * time.Second
	packageUnset   int
	packageGeneric = holder[string]{"generic"}
	nodeName       = "node-" + packageText
	packageHandler = func(n int) int { return n + packageCount }
)

func startPackageVariables() {
	start(func() { holdPackage(1) })
}

//go:noinline
func holdPackage(n int) {
	tell(is("n", n), is("main.packageCount", packageCount), fails("packageText", "main.packageText"), is("main.packageText", packageText),
		is("main.packageList", packageList), is("main.packageList[1]", packageList[1]), is("main.packageTable", packageTable),
		is(`main.packageTable["two"]`, packageTable["two"]), is("main.packageItem", packageItem),
		is("main.packageItem.Name", packageItem.Name), is("main.packageOrder.Customer.Name", packageOrder.Customer.Name),
		is("main.packageNothing", packageNothing), is("main.packageError", packageError), is("main.packageShape", packageShape),
		is("main.packageArray", packageArray), is("main.packageArray[1].y", packageArray[1].y),
		is("main.packageTimeout", packageTimeout), is("main.packageUnset", packageUnset),
		is("main.packageGeneric.content", packageGeneric.content), is("main.nodeName", nodeName),
		is("main.packageHandler", packageHandler), fails("main.packageNothing.ID", "nil pointer"))
	park()
	packageUnset += n
	packageCount += n
	packageText += "!"
	packageList, packageTable, packageItem = nil, nil, item{}
	packageOrder, packageNothing, packageError, packageShape = packageNothing, packageOrder, nil, nil
	packageArray[0].x, packageTimeout, packageGeneric.content, nodeName = n, 0, "", ""
	use(packageHandler)
}
