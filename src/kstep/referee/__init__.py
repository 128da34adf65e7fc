"""The referee: scores a candidate against a reference and says whether it is right.

It sees two trajectories of one type and treats both alike; it never imports a model, a trainer or
a simulation engine.

`compared`: what is scored · `scoring`: all of one molecule · `statistics`: estimates with errors ·
`physics`: energy, temperature, ensemble, spectra · `structure`: distributions, wells,
autocorrelation · `cost`: calls, time and methods · `claims`: the rule · `metrics`: what is written
down · `report`: for people.
"""
