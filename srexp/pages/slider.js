
"use strict";
for (const slider of document.querySelectorAll(".slider")) {
  const stage = slider.querySelector(".stage");
  const pictures = [...stage.querySelectorAll("img")];
  const range = stage.querySelector("input");
  const move = () => stage.style.setProperty("--at", range.value + "%");
  range.addEventListener("input", move);
  move(); // a browser may have kept where it was
  const choices = [...slider.querySelectorAll("select")];
  const choose = () => {
    for (const picture of pictures) picture.className = "";
    for (const choice of choices) { // where both are the same one, it is shown whole
      const picture = pictures[Number(choice.value)];
      picture.className = choice.dataset.side;
      stage.querySelector(".of-" + choice.dataset.side).textContent = picture.dataset.name;
    }
  };
  for (const choice of choices) choice.addEventListener("change", choose);
  choose();
}
