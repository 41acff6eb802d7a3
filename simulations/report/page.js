(function () {
	var box = document.getElementById("message"), chosen = null, root = document.querySelector(".spacetime");
	function show(e) {
		var t = e.target.closest(".m, g.op, .span"), words = t && t.querySelector("title");
		if (!words) return;
		if (chosen) chosen.classList.remove("chosen");
		chosen = t;
		t.classList.add("chosen");
		box.textContent = words.textContent;
	}
	root.addEventListener("click", show);
	root.addEventListener("focusin", show);
	document.querySelectorAll(".kinds input").forEach(function (box) {
		box.addEventListener("change", function () {
			var name = ".k-" + box.value.toLowerCase().replace(/[^a-z0-9]/g, "");
			root.querySelectorAll(".m" + name).forEach(function (m) { m.classList.toggle("hidden", !box.checked); });
		});
	});
})();
